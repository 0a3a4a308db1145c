#include "net/connection.hpp"
