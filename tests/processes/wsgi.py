import os

from django.core.wsgi import get_wsgi_application

from . import clock

if "TEST_CLOCK" in os.environ:
    clock.set_it()
application = get_wsgi_application()
