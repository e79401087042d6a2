// Umbrella header of the compute kernels.
#pragma once
#include "qat_cached_attention.h"
#include "qat_convert.h"
#include "qat_optimizer.h"
#include "qat_packed.h"
#include "qat_product.h"
#include "qat_ptq.h"
#include "qat_quantize.h"
#include "qat_spin.h"
#include "qat_statistics.h"
#include "qat_transformer.h"
