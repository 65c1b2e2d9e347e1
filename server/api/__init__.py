"""The HTTP interface of machines: webhooks and JSON endpoints."""
