"""Whatever happens: an engine that puts away every record at rest decides and saves as one that has all."""

from hypothesis import HealthCheck, settings

from copyagent.core.engine import Engine
from tests.support.drawers import TwoMinds
from tests.support.playbook import Playbook
from tests.unit.copyagent.core.test_any_history import AnyHistory


class ForgetfulHistory(AnyHistory):
    """Every event goes to both engines."""

    def conversation(self, engine: Engine) -> Playbook:
        return TwoMinds(engine)


ForgetfulHistory.TestCase.settings = settings(
    max_examples=60,
    stateful_step_count=40,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=list(HealthCheck),
)
TestForgetfulHistory = ForgetfulHistory.TestCase
