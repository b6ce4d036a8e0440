"""What keeps runs apart and stops them: leases, schedules, halts."""
