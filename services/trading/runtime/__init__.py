"""What hosts the components: kernel, routes, journal, fault leases, seeded randomness."""
