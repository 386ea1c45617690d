"""loadctl: use at home the power that your solar panels would export."""

__version__ = "0.1.0"
