# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Names of the array types that the whole package uses."""

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]
Float32Array = npt.NDArray[np.float32]  # what LeRobot's datasets and the network hold
IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]
ImageArray = npt.NDArray[np.uint8]  # RGB, (height, width, 3)
PixelArray = npt.NDArray[np.int32]  # pixel coordinates as OpenCV's drawing functions take them
