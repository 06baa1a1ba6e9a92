"""Our own pages: which there are, and who may open them.

A page is a row here and up to three files in `static/`: `pages/NAME.html`, what stands in its <main>;
`NAME.js`, its ES module; `NAME.css`, its style. It is served at /pages/NAME.
"""

from dataclasses import dataclass

from dicomweb_gateway.access.operations import Operation

MOUNT = "/pages"
"""Where pages are served, below the gateway's root."""


@dataclass(frozen=True, slots=True)
class Page:
    """`name` in its address, `title`, what its caller must be granted; whether navigation leads to it.

    `operation` ENTER: everybody who is known may open it. What a page shows it asks for by the addresses that
    all clients use, so a page holds nothing of patients itself.
    """

    name: str
    title: str
    operation: Operation
    in_navigation: bool = True

    @property
    def address(self) -> str:
        """Below the gateway's root."""
        return f"{MOUNT}/{self.name}"


PAGES = {
    page.name: page
    for page in (
        Page("studies", "Studies", Operation.SEARCH),
        Page("upload", "Upload", Operation.IMPORT),
        Page("stack", "Stack view", Operation.SEARCH, in_navigation=False),
        Page("metadata", "Metadata", Operation.SEARCH, in_navigation=False),
        Page("account", "Account", Operation.ENTER, in_navigation=False),
    )
}
"""By name, in the order of the navigation."""
