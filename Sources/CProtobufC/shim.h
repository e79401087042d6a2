#ifndef QAT_CPROTOBUFC_SHIM_H
#define QAT_CPROTOBUFC_SHIM_H

#include <protobuf-c/protobuf-c.h>

#endif
