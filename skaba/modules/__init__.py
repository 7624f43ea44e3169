"""Networks of the papers, and a small one for demonstrations: plain modules that return one logit per class."""

from skaba.modules._conv_net import ConvNet
from skaba.modules._fcn import FCN
from skaba.modules._text_cnn import TextCNN
from skaba.modules._vgg import VGG11, VGG16

__all__ = ["FCN", "VGG11", "VGG16", "ConvNet", "TextCNN"]
