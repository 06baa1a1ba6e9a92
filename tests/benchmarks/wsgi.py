"""The gateway's WSGI app for another server, over the index and with the settings of the environment.

It has no fetchers: only what needs none can be asked.
"""

from dicomweb_gateway.app import create_app
from dicomweb_gateway.bootstrap import make_services
from dicomweb_gateway.settings import load_settings

_settings = load_settings()
app = create_app(make_services(_settings, [str(_settings.data_dir / "no-fetcher")], _settings.port))
