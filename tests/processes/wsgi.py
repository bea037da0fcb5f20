import os

from django.core.wsgi import get_wsgi_application

from tests.processes import clock

if "TEST_CLOCK" in os.environ:
    clock.set_it()
application = get_wsgi_application()
