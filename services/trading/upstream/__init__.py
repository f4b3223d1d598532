"""Real prices from outside: who is asked, what is believed, and what is kept between two answers.

Knows neither the ecosystem nor its clock: times here are wall times, microseconds.
"""
