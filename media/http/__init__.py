"""The HTTP door: lists of calls, their audio and events over WebSockets, beside the media path.

It runs in a thread with an event loop of its own (`companion`), so that no request is parsed, and no reader written
to, in the loop that drains the sockets of calls. A file of this folder has a ``routes`` function for each subject;
`app` puts them together, and is where more are added. What a route has to ask of live calls, it asks by
`media.http.app.Api.in_media_loop`. All of it needs the extra ``http`` (aiohttp), which is imported where it is used.
"""
