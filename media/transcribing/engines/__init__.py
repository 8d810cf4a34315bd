"""The engines that come along: one offline with its model, adapters for two that need a model, one for a service."""
