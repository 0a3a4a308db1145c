#include "relative.hpp"
