"""Results and published rows as tables and pages."""
