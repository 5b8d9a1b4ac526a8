"""Whole jobs in one call: train, test, build a localizer, localize actions in videos."""

from mmwtal.apis.inferencer import WTALInferencer
from mmwtal.apis.localizer import init_localizer
from mmwtal.apis.test import TestReport, test_localizer
from mmwtal.apis.train import train_localizer

__all__ = ['TestReport', 'WTALInferencer', 'init_localizer', 'test_localizer', 'train_localizer']
