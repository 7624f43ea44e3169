"""Networks of the papers, and small ones of common kinds: plain modules that return one logit per class."""

from skaba.modules._conv_net import ConvNet
from skaba.modules._fcn import FCN
from skaba.modules._mlp import MLP
from skaba.modules._sliding_crops import SlidingCrops
from skaba.modules._text_cnn import TextCNN
from skaba.modules._text_gru import TextGRU
from skaba.modules._text_pool import TextPool
from skaba.modules._vgg import VGG11, VGG16

__all__ = ["FCN", "MLP", "VGG11", "VGG16", "ConvNet", "SlidingCrops", "TextCNN", "TextGRU", "TextPool"]
