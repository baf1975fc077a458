"""`app.control`: orders about many tasks, and questions to the workers.

What can be an act of the store is one: it holds whether workers are up or not. The rest is asked of the workers through
their mailboxes; nobody waits for one that is known to be dead.
"""

from smallage.control.commands import control_command, inspect_command
from smallage.control.inspecting import Inspect
from smallage.control.orders import Control

__all__ = ["Control", "Inspect", "control_command", "inspect_command"]
