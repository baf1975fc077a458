"""A web application that starts work in the background and tells how it goes."""

import os

from celery import Celery
from flask import Flask, jsonify, request, url_for

app = Flask(__name__)
app.config["CELERY_BROKER_URL"] = os.environ["QUEUE_URL"]
app.config["CELERY_RESULT_BACKEND"] = os.environ["QUEUE_URL"]

celery = Celery(app.name, broker=app.config["CELERY_BROKER_URL"])
celery.conf.update(app.config)


@celery.task
def divide(a, b):
    return a / b


@app.route("/start_task", methods=["POST"])
def start_task():
    numbers = request.get_json()
    task = divide.apply_async(args=[numbers["a"], numbers["b"]])
    return jsonify({"task_id": task.id}), 202, {"Location": url_for("task_status", task_id=task.id)}


@app.route("/task_status/<task_id>")
def task_status(task_id):
    task = divide.AsyncResult(task_id)
    answer = {"state": task.state}
    if task.state == "SUCCESS":
        answer["result"] = task.result
    elif task.state == "FAILURE":
        answer["error"] = str(task.info)
        answer["kind"] = type(task.info).__name__
    return jsonify(answer)
