"""The main job: a run of the stairway, started, continued, judged."""
