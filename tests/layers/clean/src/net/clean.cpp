#include "net/clean.hpp"

#include <llmproc/error.hpp>
#include "wire/url.hpp"

#include <boost/asio/awaitable.hpp>

#include <string>
