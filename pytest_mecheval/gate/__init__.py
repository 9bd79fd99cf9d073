"""The pre-merge gate: an isolated run of the audit, judged against its plan and a policy by another process."""
