"""Every model at a glance: what the ledger and Airflow know of it, put together for pages and terminals."""
