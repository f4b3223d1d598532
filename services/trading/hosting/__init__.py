"""The service runtime: hosts components in real or accelerated time, with durable journals."""
