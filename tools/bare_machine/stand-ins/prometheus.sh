#!/bin/sh
exec prometheus "$@"
