"""PPO on the trading environment, recorded, captured and evaluated."""
