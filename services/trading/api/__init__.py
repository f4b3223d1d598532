"""The services' public APIs over HTTP and WebSocket, one package each."""
