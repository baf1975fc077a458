"""What is done with a video, as plain functions over files: no task queue, no database.

    download.py    a URL, or an uploaded file    → media
    audio.py       media                         → pieces of about half a minute, pieces.json
    transcribe.py  one piece                     → its words, piece-0000.json
    join.py        the words of all pieces       → transcript.json
    analyse.py     the transcript                → analysis.json

All files are in the video's `Workspace`. A step writes its result under another name and renames it at the end; one
whose result is there already does nothing. So each may be started again at any time, also while another run of it goes
on.
"""
