"""Which of RQ's own tests are run against our worker, and why the others are not.

Every module of RQ's tests stands here once, and every test or class that is left out of a module that is
run. A name that RQ no longer has fails the run, and so does a test that is not named and fails.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

RUN = (
    "test_cli",
    "test_commands",
    "test_executions",
    "test_registry",
    "test_results",
    "test_worker",
    "test_worker_registration",
)

# Reason → modules of which no test is run.
NOT_RUN: Mapping[str, Sequence[str]] = {
    "How RQ asks for jobs, stores and reads them, not what a worker does: RQ's code, used unchanged.": (
        *("test_connection", "test_decorator", "test_fixtures", "test_group", "test_helpers", "test_job"),
        *("test_job_lifecycle", "test_key_prefix", "test_queue", "test_queue_unique", "test_scripts"),
        *("test_serializers", "test_utils"),
    ),
    "The ledger decides what follows an end: retries, repeats, callbacks, dependents, limits, web hooks.": (
        *("test_callbacks", "test_dependencies", "test_job_dependency", "test_rate_limit", "test_repeat"),
        *("test_retry", "test_webhooks"),
    ),
    "The scheduler keeps time (`server/scheduler`): RQ's scheduler and cron are not started.": (
        *("test_cron", "test_cron_job", "test_cron_job_registry", "test_cron_scheduler_registry"),
        "test_scheduler",
    ),
    "Our supervisor forks, watches and replaces processes (`tests/worker/test_supervisor.py`).": (
        "test_spawn_worker",
        "test_worker_pool",
    ),
    "Time limits end a wait on the loop, or kill an isolated process: no alarm is raised inside a job.": (
        "test_timeouts",
    ),
    "What a dead worker had popped is found by the ledger's leases: there is no intermediate list.": (
        "test_intermediate_queue",
    ),
}

# Reason → tests or whole classes, by module.
EXCLUDED: Mapping[str, Mapping[str, Sequence[str]]] = {
    "No return value is stored: handlers return nothing, and how a job went is in the ledger.": {
        "test_results": ("TestResult::test_job_successful_result",),
        "test_worker": (
            "TestWorker::test_job_times",
            "TestWorker::test_work_and_quit",
            "TestWorker::test_work_unicode_friendly",
            "TestWorker::test_work_via_simpleworker",
            "TestWorker::test_work_via_string_argument",
        ),
    },
    "How long RQ keeps a job is the same for all: 5 minutes when done, 14 days when failed.": {
        "test_registry": ("TestFailedJobRegistry::test_worker_handle_job_failure",),
        "test_worker": ("TestWorker::test_worker_sets_result_ttl",),
    },
    "How long RQ believes in a run or a worker: the kind's time limit and two minutes, not RQ's figures.": {
        "test_executions": (
            "TestRegistry::test_execution_added_to_started_job_registry",
            "TestRegistry::test_heartbeat",
            "TestRegistry::test_registry_cleanup",
        ),
        "test_worker": (
            "TestWorker::test_heartbeat_busy",
            "TestWorker::test_simpleworker_heartbeat_ttl",
        ),
    },
    "A job's `meta` holds the token it failed with; of an error only its class is told (invariant 11).": {
        "test_worker": (
            "TestWorker::test_job_timeout_moved_to_failed_job_registry",
            "TestWorker::test_self_modification_persistence_with_error",
            "TestWorker::test_timeouts",
        ),
    },
    "Retries, dependents and what happens to an exception are the ledger's business.": {
        "test_cli": ("TestRQCli::test_exception_handlers",),
        "test_worker": (
            "TestWorker::test_cancel_dependent_job",
            "TestWorker::test_cancel_job_enqueue_dependent",
            "TestWorker::test_cancel_running_parent_job",
            "TestWorker::test_custom_exc_handling",
            "TestWorker::test_disable_default_exception_handler",
            "TestWorker::test_handle_retry",
            "TestWorker::test_job_dependency_race_condition",
            "TestWorker::test_retry_keeps_unreadable_meta",
        ),
    },
    "RQ's horse, its signals, and methods and attributes inside RQ's own loop.": {
        "test_commands": (
            "TestCommands::test_kill_horse_command",
            "TestCommands::test_pubsub_thread_exits_other_error",
            "TestCommands::test_pubsub_thread_survives_connection_error",
        ),
        "test_executions": ("TestRegistry::test_worker_executions_tracking",),
        "test_worker": (
            "HerokuWorkerShutdownTestCase",
            "TestWorker::test_deserializing_failure_is_handled",
            "TestWorker::test_execution_property",
            "TestWorker::test_get_current_job",
            "TestWorker::test_heartbeat_survives_lost_connection",
            "TestWorker::test_heartbeat_survives_redis_timeout",
            "TestWorker::test_horse_fails",
            "TestWorker::test_request_force_stop_ignores_consecutive_signals",
            "WorkerShutdownTestCase::test_stopped_job_failed_even_if_stopped_callback_raises",
            "WorkerShutdownTestCase::test_work_horse_death_sets_job_failed",
            "WorkerShutdownTestCase::test_work_horse_force_death",
            "WorkerShutdownTestCase::test_working_worker_cold_shutdown",
            "WorkerShutdownTestCase::test_working_worker_warm_shutdown",
        ),
    },
    "The text of RQ's own log lines, and a version set by hand: ours are events, and the version is RQ's.": {
        "test_worker": (
            "TestWorker::test_log_job_description_on_success_false",
            "TestWorker::test_log_job_description_on_success_true",
            "TestWorker::test_log_result_lifespan_true",
            "TestWorker::test_python_version",
            "TestWorker::test_worker_version",
        ),
    },
    "Our worker takes in one order, most urgent first, and waits for work for ever.": {
        "test_cli": ("TestRQCli::test_worker_dequeue_strategy",),
        "test_worker": (
            "TestRandomWorker",
            "TestRoundRobinWorker",
            "TestWorker::test_dequeue_random_strategy",
            "TestWorker::test_dequeue_round_robin",
            "TestWorker::test_max_idle_time",
        ),
    },
    "Our worker enters its queues in RQ's list as it starts, so that `rq info` shows an empty one, too.": {
        "test_cli": ("TestRQCli::test_info_only_workers",),
    },
    "RQ's commands that enqueue, keep time, or start RQ's own workers and pools.": {
        "test_cli": (
            "CronCLITestCase",
            "WorkerPoolCLITestCase",
            "TestRQCli::test_cli_enqueue",
            "TestRQCli::test_cli_enqueue_args",
            "TestRQCli::test_cli_enqueue_doc_test",
            "TestRQCli::test_cli_enqueue_errors",
            "TestRQCli::test_cli_enqueue_retry",
            "TestRQCli::test_cli_enqueue_schedule_at",
            "TestRQCli::test_cli_enqueue_schedule_at_front",
            "TestRQCli::test_cli_enqueue_schedule_in",
            "TestRQCli::test_cli_enqueue_with_job_class",
            "TestRQCli::test_cli_enqueue_with_serializer",
            "TestRQCli::test_config_file_option",
            "TestRQCli::test_parse_function_arg",
            "TestRQCli::test_parse_schedule",
            "TestRQCli::test_worker_and_worker_pool_serializer_json_alias",
            "TestRQCli::test_worker_with_scheduler",
        ),
        "test_worker": ("TestWorkerSubprocess",),
    },
}


def excluded() -> list[str]:
    """Return what is left out, as the beginnings of pytest's names."""
    return [
        f"tests/{module}.py::{name}"
        for by_module in EXCLUDED.values()
        for module, names in by_module.items()
        for name in names
    ]


def is_named(test: str, name: str) -> bool:
    """Tell whether a name of the table stands for this test: itself, or its class."""
    return test == name or test.startswith(f"{name}::")
