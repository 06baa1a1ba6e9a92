window.config = {
  "name": "dicomweb-gateway",
  "routerBasename": "/",
  "extensions": [],
  "modes": [],
  "customizationService": {},
  "showStudyList": true,
  "maxNumberOfWebWorkers": 4,
  "maxNumRequests": {
    "interaction": 100,
    "thumbnail": 10,
    "prefetch": 25
  },
  "showLoadingIndicator": true,
  "showWarningMessageForCrossOrigin": false,
  "showCPUFallbackMessage": true,
  "strictZSpacingForVolumeViewport": true,
  "showErrorDetails": "dev",
  "defaultDataSourceName": "aetitle",
  "dataSources": [
    {
      "namespace": "@ohif/extension-default.dataSourcesModule.dicomweb",
      "sourceName": "aetitle",
      "configuration": {
        "friendlyName": "aetitle",
        "name": "aetitle",
        "qidoRoot": "https://pacs.example.org/aetitle",
        "wadoRoot": "https://pacs.example.org/aetitle",
        "wadoUriRoot": "https://pacs.example.org/aetitle",
        "qidoSupportsIncludeField": true,
        "imageRendering": "wadors",
        "thumbnailRendering": "wadors",
        "enableStudyLazyLoad": true,
        "supportsFuzzyMatching": true,
        "supportsWildcard": true,
        "supportsReject": false,
        "dicomUploadEnabled": false,
        "singlepart": "bulkdata,video,pdf",
        "bulkDataURI": {
          "enabled": true
        },
        "omitQuotationForMultipartRequest": true
      }
    }
  ]
};
