"""The runtime that hosts components: the kernel, the table of message routes, the hash-chained
journal, fault leases, seeded random streams and replay. It knows messages and the topology only.
"""
