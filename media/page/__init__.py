"""What the live page is fed with: levels of the calls that somebody looks at, figures of all, recordings.

Nothing of it runs while nobody looks. `levels` and `viewer` are in the feed's thread while somebody does, `overview`
asks the media loop once a second, `catalogue` and `peaks` read the disk in threads. The page itself is the folder
`static`: plain ES modules, styles and fonts, served as they are (`media.http.page`), without a build step.
"""
