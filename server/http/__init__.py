"""The service as seen from the network: requests in, Problems and answers out."""
