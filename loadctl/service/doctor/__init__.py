"""`loadctl doctor`: everything that could hurt later, looked at before it does. Nothing is switched."""

from loadctl.service.doctor.machine import Machine
from loadctl.service.doctor.visit import Diagnosis, examine

__all__ = ["Diagnosis", "Machine", "examine"]
