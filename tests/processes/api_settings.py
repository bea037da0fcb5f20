"""The example of an API in another project, with issuers and a cache from the environment."""

import json
import os

from example_project.remote_api.settings import *  # noqa: F403

CACHES = {"default": json.loads(os.environ["TEST_CACHE"])}
AT_JWT = json.loads(os.environ["TEST_AT_JWT"])
MIDDLEWARE = ["tests.processes.api_settings.say_which_process"]


def say_which_process(get_response):
    def respond(request):
        response = get_response(request)
        response["X-Process"] = os.getpid()
        return response

    return respond
