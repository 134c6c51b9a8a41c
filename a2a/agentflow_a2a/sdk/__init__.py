"""The one sub-package that knows the official SDK: its types, errors and transports in front of our operations.

Of the SDK only the edges are used: messages, the routes and the gRPC service, the adapters for protocol 0.3, the route
of the card, and its signature. What it offers to execute and to store tasks isn't.
"""
