"""Keys of the WSGI environment under which stands what a request says of who sends it."""

REPEATED = "dicomweb_gateway.repeated_headers"
"""The names (as in the environment) of headers that came in several lines."""
SESSION = "dicomweb_gateway.session"
"""The Session by which the caller is known, where it is one."""
BY_ADDRESS = "dicomweb_gateway.by_address"
"""Key of the WSGI environment: that the request needs no login because of where it comes from."""
