"""The only door to the models: keys, limits and checks in front of TorchServe.

Every request is read whole, checked, and sent on as a new one: of what the client wrote, nothing
but the bytes of its picture reaches TorchServe.
"""
