"""What happens in calls while they go on: one frozen class a kind, on one bus.

Places are in samples since the call's origin, as everywhere, and in milliseconds in JSON.
"""
