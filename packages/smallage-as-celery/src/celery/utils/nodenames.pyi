from smallage.as_celery.utils.nodenames import *
