// SPDX-License-Identifier: MIT
// What the kernels take of the standard library.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <exception>
#include <new>
#include <string>
#include <system_error>
#include <thread>
#include <type_traits>
#include <utility>
#include <vector>
