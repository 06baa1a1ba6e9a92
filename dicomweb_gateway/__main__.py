"""`python -m dicomweb_gateway` is the command `dicomweb-gateway`."""

from dicomweb_gateway.cli import main

if __name__ == "__main__":
    main()
