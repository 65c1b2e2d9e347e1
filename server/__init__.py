"""ProSaaS: the AI front desk a small business runs itself."""
