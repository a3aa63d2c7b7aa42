"""`python -m bytespan` is `bytespan`."""

from bytespan.cli.app import main

main()
