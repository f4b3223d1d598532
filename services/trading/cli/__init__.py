"""The ``trading`` command. Modules of the services are imported only when a command needs them."""
