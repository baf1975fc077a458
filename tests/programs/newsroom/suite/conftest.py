import pytest

pytest_plugins = ("celery.contrib.pytest",)


@pytest.fixture(scope="session")
def celery_config():
    return {"broker_url": "memory://", "result_backend": "cache+memory://", "task_default_queue": "news"}


@pytest.fixture(scope="session")
def celery_includes():
    return ["newsroom"]


@pytest.fixture(scope="session")
def celery_worker_parameters():
    return {"queues": ("news", "pictures"), "perform_ping_check": False}


@pytest.fixture
def eager():
    from newsroom import celery_app

    celery_app.conf.update(task_always_eager=True, task_eager_propagates=True)
    yield celery_app
    celery_app.conf.update(task_always_eager=False, task_eager_propagates=False)
