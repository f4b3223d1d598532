"""The ``trading`` command.

Commands import the modules of the services only when they run, so that ``trading --help`` is fast.
"""
