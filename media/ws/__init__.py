"""The WebSocket door: media streams as JSON frames with base64 audio, in; `server` composes the rest."""
