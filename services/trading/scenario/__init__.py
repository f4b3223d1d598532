"""The ChaosScenario: what people write, the plan that it compiles to, and the verdict on a run."""
